import { type Answer, emptyAnswer, failureBody, jsonAnswer, notFoundAnswer, successBody } from './answers.js';
import { type CallKind, idIn, kindOf, type LiveCall } from './call.js';
import { isObject, readFields } from './message-fields.js';
import { listMessages } from './message-list.js';
import { isoSeconds, type MessageStore, recordView, type SandboxMessage } from './message-store.js';
import { type SandboxAccount, type SandboxRole, type SandboxSettings } from './sandbox-options.js';
import { type TokenOffice } from './token-office.js';

const ROLES: Partial<Record<CallKind, SandboxRole>> = {
  create: 'OpenAiChatMessage-Create',
  update: 'OpenAiChatMessage-Edit',
  read: 'OpenAiChatMessage-Read',
  list: 'OpenAiChatMessage-List',
};

/** What Nexudus would answer, windows and scenarios aside. Checks go: token, role, body, fields; then it runs. */
export class Routes {
  constructor(
    private readonly settings: SandboxSettings,
    private readonly tokens: TokenOffice,
    private readonly store: MessageStore,
  ) {}

  /** Answers a call; a write that changes a record is marked as executed. */
  answer(call: LiveCall): Answer {
    const kind = kindOf(call);
    if (kind === 'token') return this.tokens.answer(call);

    const account = this.tokens.accountOf(call.headers.authorization);
    // The same empty 401 for a bad token and for a missing role: that is what upstream does.
    if (account === undefined || !mayCall(account, kind)) return emptyAnswer(401);

    const id = idIn(call.path) ?? 0;
    switch (kind) {
      case 'me':
        return jsonAnswer(200, aboutMe(account));
      case 'list':
        return jsonAnswer(200, listMessages(this.listed(), call.query, this.settings.dirOneMeans));
      case 'read': {
        const message = this.store.messages.get(id);
        return message === undefined ? notFoundAnswer() : jsonAnswer(200, recordView(message));
      }
      case 'delete': {
        if (!this.store.messages.delete(id)) return notFoundAnswer();
        call.executed = true;
        const by = { updatedOn: isoSeconds(this.settings.now()), updatedBy: account.username };
        return jsonAnswer(200, successBody('deleted', { Id: id }, by));
      }
      case 'create':
      case 'update':
        return this.write(call, kind, account.username);
      case 'other':
        return call.path.toLowerCase().startsWith('/api/sys/openaichatmessages')
          ? jsonAnswer(405, {
              Message: `The requested resource does not support http method '${call.method}'.`,
            })
          : notFoundAnswer();
    }
  }

  private write(call: LiveCall, operation: 'create' | 'update', username: string): Answer {
    const mediaType = (call.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
    if (mediaType !== 'application/json') {
      return jsonAnswer(415, {
        Message: `The media type '${mediaType}' is not supported for this resource.`,
      });
    }
    if (!isObject(call.json)) {
      return jsonAnswer(400, failureBody(null, { message: 'The request is invalid.' }));
    }
    const read = readFields(call.json, operation);
    if ('errors' in read) return jsonAnswer(400, failureBody(read.errors));

    const { systemId } = this.settings;
    if (operation === 'create' && read.fields.SystemId !== null && systemId === 'refused') {
      const fault = { PropertyName: 'SystemId', Message: 'can not be set' };
      return jsonAnswer(400, failureBody([fault]));
    }
    const fields = systemId === 'stored' ? read.fields : { ...read.fields, SystemId: null };
    const message =
      operation === 'create'
        ? this.store.create(fields, username)
        : this.store.replace(read.id, read.fields, username);
    if (message === undefined) return this.unknownId(read.id);
    call.executed = true;
    return this.done(operation === 'create' ? 'created' : 'updated', message);
  }

  /** What has been there long enough to be seen. */
  private listed(): SandboxMessage[] {
    const latestMs = this.settings.now() - this.settings.listLagMs;
    return [...this.store.messages.values()].filter(({ CreatedOn }) => Date.parse(CreatedOn) <= latestMs);
  }

  private done(what: 'created' | 'updated', message: SandboxMessage): Answer {
    const value = this.settings.createValue === 'record' ? recordView(message) : { Id: message.Id };
    const by = { updatedOn: message.UpdatedOn, updatedBy: message.UpdatedBy };
    return jsonAnswer(200, successBody(what, value, by));
  }

  private unknownId(id: number): Answer {
    switch (this.settings.unknownIdAnswer) {
      case '404-string':
        return notFoundAnswer();
      case '400-errors':
        return jsonAnswer(
          400,
          failureBody([{ PropertyName: 'Id', Message: 'was not found', AttemptedValue: id }]),
        );
      case '200-unsuccessful':
        return jsonAnswer(200, failureBody(null, { message: 'The record was not found.' }));
    }
  }
}

function mayCall({ roles = 'all' }: SandboxAccount, kind: CallKind): boolean {
  if (roles === 'all' || kind === 'me' || kind === 'other') return true;
  const needed = ROLES[kind];
  return needed !== undefined && roles.includes(needed);
}

function aboutMe({ username, fullName = 'Sandbox Service' }: SandboxAccount): Record<string, unknown> {
  return { Id: 4711, FullName: fullName, Email: username, MobilePhone: '+44 20 7946 0002', Active: true };
}
