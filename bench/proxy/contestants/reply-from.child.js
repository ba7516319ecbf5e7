import replyFrom from '@fastify/reply-from';
import fastify from 'fastify';
import { UPSTREAM_PATH, UPSTREAM_TOKEN } from '../setting.js';

const app = fastify();
await app.register(replyFrom, {
  base: process.env.UPSTREAM_URL,
  undici: { connections: 128, pipelining: 1 },
});
app.post('/v1/chat-messages', (_request, reply) =>
  reply.from(UPSTREAM_PATH, {
    rewriteRequestHeaders: (_incoming, headers) => ({
      ...headers,
      authorization: `Bearer ${UPSTREAM_TOKEN}`,
    }),
  }),
);
await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
