import { recordView, type SandboxMessage } from './message-store.js';

type NumberField = 'BusinessId' | 'UserId' | 'AiChannelSessionId' | 'Action';

const NUMBER_FILTERS: Readonly<Record<string, NumberField>> = {
  OpenAiChatMessage_Business: 'BusinessId',
  OpenAiChatMessage_User: 'UserId',
  OpenAiChatMessage_AiChannelSession: 'AiChannelSessionId',
  OpenAiChatMessage_Action: 'Action',
};

/** One page of the messages that a query asks for. Filters that are not known are ignored. */
export function listMessages(
  messages: Iterable<SandboxMessage>,
  query: URLSearchParams,
  dirOneMeans: 'ascending' | 'descending',
): Record<string, unknown> {
  const found = [...messages].filter((message) => matches(message, query));
  sort(found, query, dirOneMeans);

  const size = positive(query.get('size'), 25);
  const page = positive(query.get('page'), 1);
  const first = (page - 1) * size;
  const records = found.slice(first, first + size);
  const totalPages = Math.ceil(found.length / size);
  return {
    Records: records.map(recordView),
    CurrentPage: page,
    CurrentPageSize: size,
    CurrentOrderField: query.get('orderBy') ?? 'Id',
    CurrentSortDirection: Number(query.get('dir') ?? 0),
    FirstItem: records.length === 0 ? 0 : first + 1,
    LastItem: first + records.length,
    HasNextPage: page < totalPages,
    HasPreviousPage: page > 1,
    TotalItems: found.length,
    TotalPages: totalPages,
  };
}

function matches(message: SandboxMessage, query: URLSearchParams): boolean {
  const numbersMatch = Object.entries(NUMBER_FILTERS).every(([name, field]) => {
    const wanted = query.get(name);
    return wanted === null || message[field] === Number(wanted);
  });
  const systemId = query.get('OpenAiChatMessage_SystemId');
  const content = query.get('OpenAiChatMessage_Content');
  const fromMs = minuteMs(query.get('from_OpenAiChatMessage_CreatedOn'), -Infinity);
  const toMs = minuteMs(query.get('to_OpenAiChatMessage_CreatedOn'), Infinity);
  const createdMs = Date.parse(message.CreatedOn);
  return (
    numbersMatch &&
    (systemId === null || message.SystemId === systemId) &&
    // A loose match on purpose: whoever asks for a text must look at what comes.
    (content === null || message.Content.toLowerCase().includes(content.toLowerCase())) &&
    createdMs >= fromMs &&
    createdMs <= toMs
  );
}

function sort(
  found: SandboxMessage[],
  query: URLSearchParams,
  dirOneMeans: 'ascending' | 'descending',
): void {
  const field = query.get('orderBy') ?? 'Id';
  const isOne = query.get('dir') === '1';
  const sign = isOne === (dirOneMeans === 'ascending') ? 1 : -1;
  const key = (message: SandboxMessage): number => {
    if (field === 'CreatedOn' || field === 'UpdatedOn') return Date.parse(message[field]);
    return message.Id;
  };
  found.sort((a, b) => sign * (key(a) - key(b) || a.Id - b.Id));
}

/** `YYYY-MM-DDTHH:mm` has no zone; UTC is assumed. */
function minuteMs(text: string | null, otherwiseMs: number): number {
  const timeMs = Date.parse(`${text ?? ''}Z`);
  return Number.isNaN(timeMs) ? otherwiseMs : timeMs;
}

function positive(text: string | null, otherwise: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value > 0 ? value : otherwise;
}
