/**
 * The access token that all replicas use: a row for each set of credentials. What it holds of Nexudus is encrypted;
 * its name tells nobody whose it is. Who wants to change the token takes the lease, and with it a number (`fence`):
 * nothing is written by a number that is not the last.
 */
export const tokenSchema = `
create table bff.token (
  name text primary key,
  generation integer not null default 0,
  sealed bytea,
  issued_at timestamptz,
  expires_at timestamptz,
  logged_in_at timestamptz,
  refusal text,
  refusals integer not null default 0,
  refused_until timestamptz,
  fence integer not null default 0,
  lease_until timestamptz,
  used_at timestamptz not null default now()
);
`;
