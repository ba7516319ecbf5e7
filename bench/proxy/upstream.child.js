import { createServer } from 'node:http';
import { setTimeout } from 'node:timers';
import { ENVELOPE, TOKEN_ANSWER, UPSTREAM_PATH, UPSTREAM_TOKEN } from './setting.js';

/** The upstream where nginx is not there or cannot do it: with a delay before each answer. */

const delayMs = Number(process.env.DELAY_MS);
const AUTHORIZATION = `Bearer ${UPSTREAM_TOKEN}`;

createServer({ keepAliveTimeout: 75_000 }, (request, response) => {
  request.resume();
  request.once('end', () => {
    if (delayMs > 0) setTimeout(answer, delayMs, request, response);
    else answer(request, response);
  });
}).listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });

function answer({ url, headers }, response) {
  if (url === '/api/token') send(response, 200, TOKEN_ANSWER);
  else if (url !== UPSTREAM_PATH) send(response, 404, '');
  else if (headers.authorization !== AUTHORIZATION) send(response, 401, '');
  else send(response, 200, ENVELOPE);
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}
