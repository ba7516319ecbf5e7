import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemsConfig } from '../config/sections.js';
import { Redactor } from '../observability/redactor.js';
import { pathOf } from '../observability/request-path.js';
import type { Problem } from './problem.js';

/** The media type of RFC 9457 section 3. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

const asItIs = (text: string): string => text;

/** Sends a problem, through Fastify or, where there is no request object yet, straight to a socket. */
@Injectable()
export class ProblemResponder {
  constructor(
    private readonly config: ProblemsConfig,
    private readonly redactor: Redactor,
  ) {}

  send(problem: Problem, request: FastifyRequest, reply: FastifyReply): void {
    void reply
      .code(problem.type.status)
      .headers(problem.headers)
      .header('content-type', PROBLEM_MEDIA_TYPE)
      // Fastify adds a charset to a JSON text, which this media type does not have; not where it is told how to
      // serialize. Not bytes: Node puts a text behind the headers and writes once, which is a tenth of a refusal.
      .serializer(asItIs)
      .send(this.toText(problem, request));
  }

  /** The body, as it is sent. */
  toText(problem: Problem, request: FastifyRequest): string {
    return this.textFor(problem, { path: pathOf(request.url), id: request.id });
  }

  /** The same, for a request that is long over. */
  textFor(problem: Problem, request: { readonly path: string; readonly id: string }): string {
    return this.#bodyOf(problem, request);
  }

  /** The bytes of a whole HTTP/1.1 answer that ends the connection. */
  toRawResponse(
    problem: Problem,
    request: { readonly path: string; readonly id: string },
    headers: Readonly<Record<string, string>>,
  ): string {
    const body = this.#bodyOf(problem, request);
    return [
      `HTTP/1.1 ${problem.type.status} ${problem.type.title}`,
      `content-type: ${PROBLEM_MEDIA_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${request.id}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '',
      body,
    ].join('\r\n');
  }

  /** A sentence of the upstream may repeat what it was sent: what is ours alone is taken out. */
  #bodyOf(problem: Problem, request: { readonly path: string; readonly id: string }): string {
    return this.redactor.redactJson(JSON.stringify(problem.toBody(this.config.typeBaseUrl, request)));
  }
}
