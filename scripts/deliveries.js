/**
 * Shows the messages whose outcome nobody knows, and takes an operator's decision on one: through the management port
 * of any replica, which only operators reach.
 */
import { parseArgs } from 'node:util';

const USAGE = `usage: npm run -s deliveries -- list [--state unknown]
       npm run -s deliveries -- resolve <id> --delivered <message id>
       npm run -s deliveries -- resolve <id> --not-sent
  --state      unknown (the default), accepted or sending
  --delivered  Nexudus has the message, under this id: whoever asks is told so
  --not-sent   Nexudus does not have it: what was handed over is sent again, a key may be used again
  --url        of the management port (the default is http://127.0.0.1:9464)`;
const DEFAULT_URL = 'http://127.0.0.1:9464';
/** What a line of the list shows, in this order. */
const COLUMNS = [
  'id',
  'state',
  'operation',
  'mode',
  'caller',
  'businessId',
  'sessionId',
  'userId',
  'attempts',
  'acceptedAt',
  'sentAt',
];

/** @returns what to do; nothing where an argument is not as it must be */
function readArguments() {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        url: { type: 'string', default: DEFAULT_URL },
        state: { type: 'string' },
        delivered: { type: 'string' },
        'not-sent': { type: 'boolean' },
      },
    });
    const [command, id, ...rest] = positionals;
    const { url, state, delivered, 'not-sent': notSent } = values;
    if (!URL.canParse(url) || rest.length > 0) return undefined;
    const hasDecision = delivered !== undefined || notSent !== undefined;
    if (command === 'list' && id === undefined && !hasDecision) {
      return { url: new URL(`/ops/deliveries?state=${encodeURIComponent(state ?? 'unknown')}`, url) };
    }
    const isOneDecision = (delivered === undefined) !== (notSent === undefined);
    if (command !== 'resolve' || id === undefined || state !== undefined || !isOneDecision) return undefined;
    if (delivered !== undefined && !/^[1-9]\d{0,9}$/.test(delivered)) return undefined;
    const decision = notSent ? { as: 'not-sent' } : { as: 'delivered', messageId: Number(delivered) };
    return { url: new URL(`/ops/deliveries/${encodeURIComponent(id)}/resolve`, url), decision };
  } catch {
    return undefined;
  }
}

/** @returns whether it was done */
async function perform({ url, decision }) {
  const init = decision && {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(decision),
  };
  const response = await fetch(url, init);
  const body = await response.json();
  if (!response.ok) {
    console.error(`${response.status}: ${body.status}`);
    return false;
  }
  const rows = decision ? [body] : body.deliveries;
  if (rows.length === 0) console.error('none');
  else printTable(rows);
  return true;
}

function printTable(rows) {
  const lines = [COLUMNS, ...rows.map((row) => COLUMNS.map((name) => String(row[name] ?? '-')))];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  for (const line of lines) {
    console.log(
      line
        .map((text, column) => text.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    );
  }
}

const order = readArguments();
if (order) {
  try {
    if (!(await perform(order))) process.exitCode = 1;
  } catch (error) {
    console.error(
      `${order.url.origin} does not answer as the management port does: ${error.cause?.message ?? error.message}`,
    );
    process.exitCode = 1;
  }
} else {
  console.error(USAGE);
  process.exitCode = 2;
}
