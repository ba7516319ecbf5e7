import { Module } from '@nestjs/common';
import { DeliveriesController } from './deliveries.controller.js';

/** What became of what was handed over. Served only where there is a database. */
@Module({ controllers: [DeliveriesController] })
export class DeliveriesModule {}
