/**
 * The ledger: one row for each write that carries a key, and for each that was handed over. What is searched for
 * again and again (what waits, what is due) has partial indexes, so that rows that are settled cost nothing there.
 */
export const deliverySchema = `
create table bff.delivery (
  id uuid primary key,
  -- sync: somebody waits for the answer; async: it was handed over
  mode text not null,
  caller text not null,
  -- create or replace
  operation text not null,
  -- of the message that is replaced
  message_id integer,
  -- business and session: writes of one are sent in order
  session text,
  -- the idempotency key with all that it belongs to, hashed; null where there is none, or it is free again
  scope text,
  -- of the body, under a ledger key
  fingerprint text,
  -- accepted, sending, done, rejected, unknown, expired, cancelled
  state text not null,
  -- sealed: all that it takes to send it
  content bytea,
  attempts integer not null default 0,
  -- who is at it, if anybody; whoever takes it over raises the fence
  owner uuid,
  fence bigint not null default 0,
  lease_until timestamptz,
  accepted_at timestamptz not null default now(),
  -- not sent any more after that; null for sync
  expires_at timestamptz,
  -- of the first attempt that Nexudus may have run
  sent_at timestamptz,
  -- since when it waits for nothing but, where it is unknown, to be found out
  settled_at timestamptz,
  content_until timestamptz,
  keep_until timestamptz,
  -- sealed, without the content
  answer bytea,
  -- of the message at Nexudus, which may grow beyond what a path of ours takes
  result_id bigint,
  -- the later replace of the same message that is sent in its stead
  merged_into uuid,
  -- finding out what became of an unknown one
  looks integer not null default 0,
  -- of those, the last ones in a row that showed it missing when it should have been there
  missing_looks integer not null default 0,
  next_look_at timestamptz
);
create unique index delivery_scope on bff.delivery (scope) where scope is not null;
create index delivery_newest on bff.delivery (caller, accepted_at desc, id desc) where mode = 'async';
create index delivery_newest_of_state on bff.delivery (caller, state, accepted_at desc, id desc) where mode = 'async';
create index delivery_waiting on bff.delivery (expires_at) where mode = 'async' and state = 'accepted';
create index delivery_replacing on bff.delivery (caller, message_id) where mode = 'async' and state = 'accepted' and operation = 'replace';
create index delivery_held on bff.delivery (lease_until) where owner is not null;
create index delivery_unknown on bff.delivery (next_look_at, id) where state = 'unknown';
create index delivery_content on bff.delivery (content_until) where content_until is not null;
create index delivery_over on bff.delivery (keep_until) where keep_until is not null;
create index delivery_result on bff.delivery (result_id) where result_id is not null;
create index delivery_merged on bff.delivery (merged_into) where merged_into is not null;

-- Deliveries that are accepted or being sent: counted, since to count the rows takes longer the more there are.
create table bff.backlog (
  caller text primary key,
  waiting bigint not null
);
-- The same for all callers, in parts, so that not everybody waits for one row; only the sum means something.
create table bff.backlog_total (
  part integer primary key,
  waiting bigint not null
);

-- One row, locked by whoever writes down what a look has shown.
create table bff.finding (
  id integer primary key
);
insert into bff.finding (id) values (1);
`;
