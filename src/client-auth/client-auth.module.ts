import { Module } from '@nestjs/common';
import { ClientAuthenticator } from './client-authenticator.js';

/** Who calls us. */
@Module({ providers: [ClientAuthenticator], exports: [ClientAuthenticator] })
export class ClientAuthModule {}
