import { randomUUID } from 'node:crypto';
import { type MessageFields } from './message-fields.js';

/** A stored chat message, under Nexudus' own names; the three times and names of the end are the server's. */
export interface SandboxMessage extends MessageFields {
  Id: number;
  UniqueId: string;
  /** ISO 8601, whole seconds, UTC. */
  CreatedOn: string;
  UpdatedOn: string;
  /** The user name of the account that wrote it last. */
  UpdatedBy: string;
}

const FIRST_ID = 87_654_321;

/** The records of the pretended tenant. */
export class MessageStore {
  readonly messages = new Map<number, SandboxMessage>();
  private nextId = FIRST_ID;

  constructor(private readonly now: () => number) {}

  create(fields: MessageFields, updatedBy: string): SandboxMessage {
    return this.seed({ ...fields, UpdatedBy: updatedBy });
  }

  /** Puts a record in as it is, and fills in what is missing. */
  seed(record: Partial<SandboxMessage> & { BusinessId: number }): SandboxMessage {
    const writtenOn = isoSeconds(this.now());
    const message: SandboxMessage = {
      Id: record.Id ?? this.freeId(),
      UniqueId: randomUUID(),
      Action: 1,
      Content: 'A message that was there before.',
      UserId: null,
      AiChannelSessionId: null,
      CoworkerMessageId: null,
      HelpDeskMessageId: null,
      HelpDeskCommentId: null,
      SystemId: null,
      CreatedOn: writtenOn,
      UpdatedOn: writtenOn,
      UpdatedBy: 'somebody@example.com',
      ...record,
    };
    this.messages.set(message.Id, message);
    return message;
  }

  /** A full replace: `fields` says null for everything that was left out. Undefined when there is no such record. */
  replace(id: number, fields: MessageFields, updatedBy: string): SandboxMessage | undefined {
    const old = this.messages.get(id);
    if (old === undefined) return undefined;
    const message = { ...old, ...fields, UpdatedOn: isoSeconds(this.now()), UpdatedBy: updatedBy };
    this.messages.set(id, message);
    return message;
  }

  private freeId(): number {
    while (this.messages.has(this.nextId)) this.nextId += 1;
    const id = this.nextId;
    this.nextId += 1;
    return id;
  }
}

/** A record as Nexudus shows it: with personal data that must not get through to anybody. */
export function recordView(message: SandboxMessage): Record<string, unknown> {
  const somebody = message.UserId !== null;
  return {
    ...message,
    CoworkerFullName: somebody ? 'Ada Private' : null,
    CoworkerEmail: somebody ? 'ada.private@example.com' : null,
    CoworkerMobilePhone: somebody ? '+44 20 7946 0000' : null,
    BusinessName: 'Sandbox Space',
    BusinessPhone: '+44 20 7946 0001',
  };
}

/** Nexudus' times have no fraction. */
export function isoSeconds(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
