import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ProblemFilter } from './problem.filter.js';
import { ProblemResponder } from './problem.responder.js';
import { ProblemsController } from './problems.controller.js';

/** The error contract: every answer that is not a success is a problem of the catalogue. */
@Module({
  controllers: [ProblemsController],
  providers: [ProblemResponder, { provide: APP_FILTER, useClass: ProblemFilter }],
  exports: [ProblemResponder],
})
export class ProblemDetailsModule {}
