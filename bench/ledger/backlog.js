import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { Sealer } from '../../dist/database/sealer.js';
import { ledgerKey } from './replicas.js';
import { LEDGER_KEY_ID, SESSIONS } from './setting.js';

/**
 * Puts deliveries into the database as if the service had taken them on: copies of the ones that it did take on, one
 * of each caller, with what must differ. So every column has what the service writes there.
 */

const ROWS_AT_ONCE = 5_000;
const sealer = new Sealer([{ id: LEDGER_KEY_ID, secret: ledgerKey }]);

/**
 * Copies of every settled delivery that is there, older than all that wait. Their answers cannot be opened, since they
 * belong to the rows that they were sealed for: nobody asks for these.
 *
 * @param {import('./postgres.js').BenchDatabase} database
 */
export async function putSettled(database, count) {
  const { names, values } = await columns(database, 'delivery', 'sample', {
    id: 'gen_random_uuid()',
    scope: `'bench-' || n`,
    result_id: '1000000 + n',
    accepted_at: `now() - interval '1 minute' - n * interval '80 milliseconds'`,
    settled_at: `now() - n * interval '80 milliseconds'`,
    content: 'null',
    content_until: 'null',
    keep_until: `now() + interval '1 day'`,
  });
  await database.query(
    `with sample as materialized
       (select row_number() over () - 1 as place, count(*) over () as samples, d.* from bff.delivery d
        where settled_at is not null)
     insert into bff.delivery (${names})
     select ${values} from generate_series(1, $1::integer) as n join sample on sample.place = n % samples`,
    [count],
  );
}

/**
 * Copies of every delivery that waits, in turn.
 *
 * @param {import('./postgres.js').BenchDatabase} database
 * @param {'one' | 'many'} sessions that they share
 */
export async function putWaiting(database, count, sessions) {
  const samples = await database.query(
    `select d.id, d.caller, d.content, l.seq, l.lane from bff.delivery d join bff.line l on l.delivery_id = d.id::text
     where d.state = 'accepted' and l.state = 'wants' order by l.seq`,
  );
  const [{ last }] = await database.query('select last_ticket::float8 as last from bff.gate');
  const contents = samples.map(({ id, content }) => sealer.open(content, placeOf(id)));
  const lastOfSession = new Map();
  for (let from = 0; from < count; from += ROWS_AT_ONCE) {
    const length = Math.min(ROWS_AT_ONCE, count - from);
    const rows = Array.from({ length }, (_, index) => {
      const n = from + index;
      const place = n % samples.length;
      const id = randomUUID();
      const session = `bench:${sessions === 'one' ? 1 : n % SESSIONS}`;
      const seq = last + 1 + n;
      const afterSession = lastOfSession.get(session) ?? null;
      lastOfSession.set(session, seq);
      // In the content every message has a name in brackets.
      const content = contents[place].replace(/\([^()]*\)/, `(backlog ${n})`);
      return { id, session, seq, afterSession, sample: samples[place].seq, content: sealed(content, id) };
    });
    await insert(database, rows);
  }
  const lanes = await database.query('select lane as name, count(*) from bff.line group by lane');
  for (const { name, count: waiting } of lanes) {
    await database.query('update bff.lane set waiting = $2 where name = $1', [name, waiting]);
  }
  await database.query('update bff.gate set last_ticket = last_ticket + $1, waiting = waiting + $1', [count]);
  await database.query(
    `update bff.backlog set waiting =
       (select count(*) from bff.delivery d where d.caller = backlog.caller and state = 'accepted')`,
  );
  await database.query(
    'insert into bff.backlog_total (part, waiting) values (0, $1) on conflict (part) do update set waiting = backlog_total.waiting + $1',
    [count],
  );
}

async function insert(database, rows) {
  const fields = ['id', 'session', 'seq', 'afterSession', 'sample', 'content'];
  const delivery = await columns(database, 'delivery', 'd', {
    id: 'given.id',
    scope: `'bench-waiting-' || given.seq`,
    session: 'given.session',
    content: 'given.content',
  });
  const line = await columns(database, 'line', 'l', {
    seq: 'given.seq',
    delivery_id: 'given.id::text',
    session: 'given.session',
    after_session: 'given.after_session',
  });
  await database.query(
    `with given as materialized (
       select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
         as given (id, session, seq, after_session, sample, content)
     ), deliveries as (
       insert into bff.delivery (${delivery.names})
       select ${delivery.values}
       from given join bff.line l on l.seq = given.sample join bff.delivery d on d.id::text = l.delivery_id
     )
     insert into bff.line (${line.names}) select ${line.values} from given join bff.line l on l.seq = given.sample`,
    fields.map((field) => rows.map((row) => row[field])),
  );
}

/** All columns of a table, and what is put there: what is given, else what the sample has. */
async function columns(database, table, sample, given) {
  const rows = await database.query(
    "select column_name as name from information_schema.columns where table_schema = 'bff' and table_name = $1",
    [table],
  );
  const names = rows.map(({ name }) => name);
  return {
    names: names.join(', '),
    values: names.map((name) => given[name] ?? `${sample}.${name}`).join(', '),
  };
}

/** As the service seals it. */
function sealed(content, id) {
  return Buffer.from(sealer.seal(content, placeOf(id)));
}

function placeOf(id) {
  return `delivery:${id}`;
}
