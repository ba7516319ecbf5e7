import { HEADERS, PARAMETERS } from './headers.js';
import { PATHS } from './operations.js';
import { PROBLEM_SCHEMAS } from './problems.js';
import { SCHEMAS } from './schemas.js';

const DESCRIPTION = `A small API in front of Nexudus. Every write ends in one of four ways, and the answer says in which: it was **done** (200, 201), it was **not-sent**, Nexudus **rejected** it, or its outcome is honestly **unknown**.

Every answer that is not a success is a problem (RFC 9457). Two members tell a program what to do:

| \`outcome\` | what became of the message |
| --- | --- |
| \`not-sent\` | Nexudus never got it, or provably refused it before running it |
| \`rejected\` | Nexudus decided against it: see \`errors\` |
| \`unknown\` | it may or may not exist now: look before you create it again |

\`retryable: true\` means that the same request can be sent again as it is, after \`Retry-After\`, without risk of a duplicate.

**Handing over.** With \`Prefer: respond-async\` a service that has a database takes a message on and answers 202: the message is a delivery now, which waits its turn, survives every restart, and ends in one of the same four ways. \`GET /v1/deliveries/{id}\` says how it stands. Without a database the preference is ignored, and the deliveries' routes answer 404 \`not-found\`.`;

/**
 * The OpenAPI 3.1 document, complete. Made from the code that serves: routes from the controllers, limits from the
 * rules and the defaults, problems from the catalogue and the table.
 *
 * @param version of the service
 */
export function openApiDocument(version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Chat messages API',
      version,
      summary: 'Creates and replaces chat messages in Nexudus, with an honest outcome for every write.',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This instance' }],
    tags: [
      { name: 'Chat messages', description: 'What the service is for.' },
      { name: 'Deliveries', description: 'What became of messages that were handed over.' },
      { name: 'Problems', description: 'What can go wrong, explained. No credential is needed.' },
      { name: 'Documentation', description: 'The API described, by itself. No credential is needed.' },
    ],
    security: [{ apiKey: [] }, { jwt: [] }],
    paths: PATHS,
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key that an operator gave out: `Authorization: Bearer <key>`.',
        },
        jwt: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            'An access token of the issuer that this instance trusts, with the scope `chat-messages:write`; its claim `businesses` lists the businesses that it may write for, or is `"*"`.',
        },
      },
      parameters: PARAMETERS,
      headers: HEADERS,
      schemas: { ...SCHEMAS, ...PROBLEM_SCHEMAS },
    },
  };
}
