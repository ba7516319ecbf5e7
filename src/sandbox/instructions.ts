/** One process of the service. */
export interface Replica {
  readonly serviceUrl: string;
  readonly managementUrl: string;
  readonly pid: number | undefined;
}

/** Where the running parts are, as a person needs them. */
export interface Surroundings {
  /** Two where there is a database, else one. */
  readonly replicas: readonly Replica[];
  readonly isDatabaseWanted: boolean;
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
  const [one, two] = at.replicas;
  if (one === undefined) throw new Error('There is no replica to try');
  const tries = [
    ...serviceTries(at, one),
    ...(two === undefined ? [] : deliveryTries(at, one, two)),
    ...nexudusTries(at),
  ];
  return [
    '',
    `${paint(1, 'The service runs against a fake Nexudus.')} ${paint(33, 'Nothing here is real')}: no message reaches anybody,`,
    'and the API key in these lines works against this process only.',
    '',
    ...(two === undefined ? alone(one, at) : together(at.replicas)),
    `  fake Nexudus  ${at.nexudusUrl}   (what it can play: curl ${at.nexudusUrl}/sandbox)`,
    '',
    ...tries.flatMap(({ see, curl }) => [paint(32, `# ${see}`), curl, '']),
    `${paint(1, 'Ctrl-C')} stops all.`,
    '',
  ].join('\n');
}

function alone({ serviceUrl, managementUrl }: Replica, { isDatabaseWanted }: Surroundings): string[] {
  return [
    ...(isDatabaseWanted
      ? [
          'No PostgreSQL starts on this machine: this is one replica without a database, which takes nothing',
          'on to send it later.',
          '',
        ]
      : []),
    `  the service   ${serviceUrl}   (the API as a page: ${serviceUrl}/docs)`,
    `  for operators ${managementUrl}   (how things stand: ${managementUrl}/info)`,
  ];
}

function together(replicas: readonly Replica[]): string[] {
  return [
    'Two replicas share a PostgreSQL of their own: one quota, one token, and what one takes on the other sends.',
    '',
    ...replicas.flatMap(({ serviceUrl, managementUrl, pid }, index) => [
      `  replica ${index + 1}     ${serviceUrl}   (the API as a page: ${serviceUrl}/docs; kill -9 ${pid ?? 0}: the other goes on)`,
      `  for operators ${managementUrl}   (how things stand: ${managementUrl}/info)`,
    ]),
  ];
}

function serviceTries({ apiKey, seededId, seededBusinessId }: Surroundings, { serviceUrl }: Replica): Try[] {
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

/** Handing over: what is taken on by one replica is known to the other. The shell keeps the ids. */
function deliveryTries({ apiKey }: Surroundings, one: Replica, two: Replica): Try[] {
  const authorization = `-H 'Authorization: Bearer ${apiKey}'`;
  const handOver = (name: string, { serviceUrl }: Replica, content: string): string =>
    `${name}=$(curl -sS -X POST ${serviceUrl}/v1/chat-messages ${authorization} -H 'Content-Type: application/json' ` +
    `-H 'Prefer: respond-async' -d '{"businessId":1,"content":"${content}"}' ` +
    `| tee /dev/stderr | sed 's/.*"id":"\\([^"]*\\)".*/\\1/'); echo`;
  const ask = (method: string, { serviceUrl }: Replica, path = ''): string =>
    `curl -i -w '\\n' -X ${method} "${serviceUrl}/v1/deliveries${path}" ${authorization}`;
  return [
    {
      see: '202: replica 2 takes it on, and is done with it for now; Nexudus will throttle for 20 s',
      curl: handOver('ID', two, 'sandbox:throttle=20'),
    },
    { see: '200: replica 1 knows how it stands, and when its turn comes', curl: ask('GET', one, '/$ID') },
    { see: '202: another one, which has to wait as well', curl: handOver('NEXT', one, 'See you at one.') },
    { see: '200: cancelled in time, so it is never sent', curl: ask('DELETE', two, '/$NEXT') },
    { see: '200: both of them, the newest first', curl: ask('GET', two) },
    {
      see: '200: server-sent events, until the first one is done',
      curl: `curl -N "${one.serviceUrl}/v1/deliveries/$ID/events" ${authorization}`,
    },
  ];
}

function nexudusTries({ nexudusUrl }: Surroundings): Try[] {
  return [{ see: 'what Nexudus got of all this', curl: `curl ${nexudusUrl}/sandbox/calls` }];
}
