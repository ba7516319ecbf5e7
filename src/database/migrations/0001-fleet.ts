/**
 * What all replicas share: the quota, the line in front of it, and who is alive. Times are milliseconds since the Unix
 * epoch, on the database's clock.
 */
export const fleetSchema = `
-- One row: whoever changes anything below holds it. Numbers are counted here and not by sequences, which leave gaps
-- and are handed out before the lock.
create table bff.gate (
  id integer primary key,
  -- The latest time that anybody acted on: it never goes back, whatever the clock does.
  last_ms double precision not null,
  last_event bigint not null,
  last_ticket bigint not null,
  last_turn bigint not null,
  -- Tickets without a slot, calls that are not writes included.
  waiting integer not null
);
insert into bff.gate values (1, 0, 0, 0, 0, 0);

create table bff.replica (
  id text primary key,
  lease_until_ms double precision not null,
  -- How long an event may count in one of its windows.
  keeps_ms double precision not null
);

-- Every call to Nexudus: its beginning ('write', 'call'), and its end ('answered', 'throttled', 'unanswered',
-- 'not-sent'). A call is named by the number of its beginning.
create table bff.quota_event (
  seq bigint primary key,
  at_ms double precision not null,
  kind text not null,
  call bigint not null,
  replica text not null,
  caller text,
  retry_after_ms double precision
);

-- Those who take turns and have somebody waiting, in the order of their turns.
create table bff.lane (
  name text primary key,
  caller text not null,
  turn bigint not null,
  waiting integer not null
);

-- A ticket for every write that waits or is under way, and for every other call that waits.
create table bff.line (
  seq bigint primary key,
  lane text not null,
  caller text not null,
  -- Whose it is. Of a delivery that waits: nobody's.
  replica text,
  delivery_id text unique,
  session text,
  message bigint,
  -- The ones of its session and of its message that have to leave first.
  after_session bigint,
  after_message bigint,
  -- 'admitted': wants no slot yet. 'wants': one. 'resting': one, but not before until_ms. 'granted': had one.
  -- 'held': nothing any more, and leaves at until_ms.
  state text not null,
  call bigint,
  until_ms double precision,
  since_ms double precision not null,
  due_ms double precision not null
);
create index line_next on bff.line (lane, seq)
  where state = 'wants' and after_session is null and after_message is null;
create index line_next_in_hands on bff.line (lane, seq)
  where state = 'wants' and after_session is null and after_message is null and replica is not null;
create index line_waiting on bff.line (lane, seq) where state in ('admitted', 'wants', 'resting');
create index line_replica on bff.line (replica) where replica is not null;
create index line_until on bff.line (until_ms) where until_ms is not null;
create index line_session on bff.line (session, seq) where session is not null;
create index line_message on bff.line (message, seq) where message is not null;
create index line_after_session on bff.line (after_session) where after_session is not null;
create index line_after_message on bff.line (after_message) where after_message is not null;
`;
