import { Injectable } from '@nestjs/common';
import { DeliveriesConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import type { FieldFault } from './nexudus.errors.js';

/**
 * Whether creates carry a tag in `SystemId`, by which an unknown one can be found. Nexudus does not document the
 * field for a create, so it is off unless it was asked for, and turns itself off when Nexudus will not have it.
 */
@Injectable()
export class SystemIdTag {
  #isRefused = false;

  constructor(
    private readonly config: DeliveriesConfig,
    private readonly log: AppLogger,
  ) {}

  get state(): 'on' | 'off' | 'refused' {
    if (!this.config.tagSystemId) return 'off';
    return this.#isRefused ? 'refused' : 'on';
  }

  /** Nexudus does not take it: as long as this process lives, nothing is tagged any more. */
  turnOff(): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.log.error(
      { variable: 'NEXUDUS_TAG_SYSTEM_ID' },
      'Nexudus refuses SystemId on a create: messages are no longer tagged; set NEXUDUS_TAG_SYSTEM_ID=false',
    );
  }
}

/** Whether a refusal is about the tag. */
export function isAboutTag({ propertyName, message }: FieldFault): boolean {
  return propertyName === 'SystemId' || (propertyName === undefined && message.startsWith('SystemId'));
}
