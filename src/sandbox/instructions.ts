/** Where the running parts are, as a person needs them. */
export interface Surroundings {
  readonly serviceUrl: string;
  readonly managementUrl: string;
  readonly nexudusUrl: string;
  readonly apiKey: string;
  /** The Id of a message that can be replaced. */
  readonly seededId: number;
  readonly seededBusinessId: number;
  readonly hasColours: boolean;
}

interface Try {
  readonly see: string;
  readonly curl: string;
}

/** What to try, in curl lines that paste into bash and zsh. */
export function instructions(at: Surroundings): string {
  const paint = (code: number, text: string): string =>
    at.hasColours ? `\u001b[${code}m${text}\u001b[0m` : text;
  const tries = [...serviceTries(at), ...nexudusTries(at)];
  return [
    '',
    `${paint(1, 'The service runs against a fake Nexudus.')} ${paint(33, 'Nothing here is real')}: no message reaches anybody,`,
    'and the API key in these lines works against this process only.',
    '',
    `  the service   ${at.serviceUrl}   (the API as a page: ${at.serviceUrl}/docs)`,
    `  for operators ${at.managementUrl}   (how things stand: ${at.managementUrl}/info)`,
    `  fake Nexudus  ${at.nexudusUrl}   (what it can play: curl ${at.nexudusUrl}/sandbox)`,
    '',
    ...tries.flatMap(({ see, curl }) => [paint(32, `# ${see}`), curl, '']),
    `${paint(1, 'Ctrl-C')} stops both.`,
    '',
  ].join('\n');
}

function serviceTries({ serviceUrl, apiKey, seededId, seededBusinessId }: Surroundings): Try[] {
  const write = (method: string, path: string, json: string): string =>
    `curl -i -w '\\n' -X ${method} ${serviceUrl}${path} -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' -d '${json}'`;
  const create = (content: string, businessId = '1'): string =>
    write('POST', '/v1/chat-messages', `{"businessId":${businessId},"content":"${content}"}`);
  const keyed = (content: string): string => `${create(content)} -H 'Idempotency-Key: "a-key"'`;
  const replacement = `{"businessId":${seededBusinessId},"content":"See you at eleven."}`;
  return [
    { see: '201: the message is created', curl: create('See you at ten.') },
    {
      see: `200: message ${seededId}, which is there already, is replaced`,
      curl: write('PUT', `/v1/chat-messages/${seededId}`, replacement),
    },
    {
      see: '422, not-sent: refused by our own rules, "1" is not a number',
      curl: create('See you at ten.', '"1"'),
    },
    { see: '422, rejected: refused by Nexudus', curl: create('sandbox:reject') },
    {
      see: '201 after about 2 s: Nexudus throttles, the service waits and sends again',
      curl: create('sandbox:throttle=2'),
    },
    {
      see: '502, unknown: Nexudus ran it and the answer got lost, so it is never sent twice',
      curl: create('sandbox:lost'),
    },
    {
      see: '201, and when pasted again the same answer: one message, however often it is sent with this key',
      curl: keyed('See you at twelve.'),
    },
  ];
}

function nexudusTries({ nexudusUrl }: Surroundings): Try[] {
  return [{ see: 'what Nexudus got of all this', curl: `curl ${nexudusUrl}/sandbox/calls` }];
}
