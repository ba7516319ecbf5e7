import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
import { Pool } from 'undici';
import { UPSTREAM_PATH, UPSTREAM_TOKEN } from '../setting.js';
import { toNexudus, toRepresentation } from './mapping.js';

const pool = new Pool(process.env.UPSTREAM_URL, { connections: 128 });

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => void answer(Buffer.concat(chunks), response));
}).listen(Number(process.env.PORT), '127.0.0.1');

async function answer(bytes, response) {
  try {
    const message = JSON.parse(bytes.toString());
    const { statusCode, body } = await pool.request({
      method: 'POST',
      path: UPSTREAM_PATH,
      headers: { authorization: `Bearer ${UPSTREAM_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(toNexudus(message)),
    });
    if (statusCode !== 200) throw new Error(`The upstream answered ${statusCode}`);
    const created = JSON.stringify(toRepresentation(message, await body.json()));
    response
      .writeHead(201, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(created) })
      .end(created);
  } catch {
    response.writeHead(502).end();
  }
}
