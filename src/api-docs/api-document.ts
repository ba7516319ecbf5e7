import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { ChatMessagesConfig, ProblemsConfig } from '../config/sections.js';

/** Lies beside both src and dist. */
const FILE = new URL('../../openapi.json', import.meta.url);
/** A problem type as the generated document has it: with the default base. */
const DEFAULT_TYPE = /^\/problems\/(?=[a-z-]+$)/;

/** The OpenAPI document as it is served, and its entity tag. */
export interface ServedDocument {
  readonly text: string;
  readonly etag: string;
}

/** The parts of the document that depend on the configuration. */
interface Document {
  readonly components: {
    readonly schemas: { ChatMessage: { properties: { content: { maxLength: number } } } };
  };
}

/**
 * The OpenAPI document of this instance: the generated one, with what is configured here put in. Read when somebody
 * asks for the first time: most processes are never asked.
 */
@Injectable()
export class ApiDocument {
  #served: Promise<ServedDocument> | undefined;

  constructor(
    private readonly messages: ChatMessagesConfig,
    private readonly problems: ProblemsConfig,
  ) {}

  async read(): Promise<ServedDocument> {
    this.#served ??= this.#load().catch((error: unknown) => {
      this.#served = undefined;
      throw error;
    });
    return this.#served;
  }

  async #load(): Promise<ServedDocument> {
    const generated = await readFile(FILE, 'utf8');
    const document = JSON.parse(generated, (_, value: unknown) =>
      typeof value === 'string' ? value.replace(DEFAULT_TYPE, () => this.problems.typeBaseUrl) : value,
    ) as Document;
    document.components.schemas.ChatMessage.properties.content.maxLength = this.messages.contentMaxLength;
    const text = JSON.stringify(document);
    return { text, etag: `"${hash('sha256', text, 'base64url').slice(0, 22)}"` };
  }
}
