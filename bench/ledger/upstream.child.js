import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';

/** The upstream of the ledger's benchmark. Started by upstream.js, which asks it what it got; it ends with its parent. */

const TOKEN = 'the-token-of-the-benchmark';
const TOKEN_ANSWER = JSON.stringify({
  access_token: TOKEN,
  token_type: 'bearer',
  expires_in: 86_400,
  refresh_token: 'unused',
});
const FIRST_ID = 80_000_000;

let id = FIRST_ID;
let contents;
let report;
forget();

function forget() {
  contents = new Set();
  report = { count: 0, duplicates: 0, firstAtMs: 0, lastAtMs: 0 };
}

const server = createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.once('end', () => {
    const { method, url, headers } = request;
    if (url === '/api/token') send(response, 200, TOKEN_ANSWER);
    else if (method !== 'POST' || url !== '/api/sys/openaichatmessages') send(response, 404, '"Not found"');
    else if (headers.authorization !== `Bearer ${TOKEN}`) send(response, 401, '');
    else create(JSON.parse(Buffer.concat(chunks).toString()), response);
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
  process.send({ url: `http://127.0.0.1:${server.address().port}` });
});

process.on('disconnect', () => process.exit(0));
process.on('message', (message) => {
  if (message === 'forget') forget();
  process.send(report);
});

function create({ Content }, response) {
  const now = Date.now();
  if (report.count === 0) report.firstAtMs = now;
  report.lastAtMs = now;
  report.count += 1;
  if (contents.has(Content)) report.duplicates += 1;
  contents.add(Content);
  id += 1;
  send(response, 200, envelope(id));
}

/** What Nexudus answers to a create; an id of its own for each, since the ledger keeps them. */
function envelope(Id) {
  return JSON.stringify({
    Status: 200,
    Message: 'OpenAiChatMessage was successfully created.',
    Value: { Id },
    OpenInDialog: false,
    OpenInWindow: false,
    RedirectURL: null,
    JavaScript: null,
    UpdatedOn: '2025-01-15T10:30:00Z',
    UpdatedBy: 'service@example.com',
    Errors: null,
    WasSuccessful: true,
  });
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}
