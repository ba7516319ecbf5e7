import { Controller, Get, Header, Headers, Param, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { ProblemsConfig } from '../config/sections.js';
import { PROBLEM_TYPES, type ProblemSlug } from './problem.catalogue.js';
import { Problem } from './problem.js';
import { problemPage } from './problem.page.js';

const DAY_S = 86_400;

/** Explains the problems: to a program as JSON, to a person who follows a `type` link as a page. */
@Controller('problems')
export class ProblemsController {
  constructor(private readonly config: ProblemsConfig) {}

  @Get()
  @RouteConfig({ public: true })
  @Header('cache-control', `public, max-age=${DAY_S}`)
  list(): object[] {
    return Object.entries(PROBLEM_TYPES).map(([slug, { title, status }]) => ({
      slug,
      type: this.config.typeBaseUrl + slug,
      title,
      status,
    }));
  }

  @Get(':slug')
  @RouteConfig({ public: true })
  @Header('cache-control', `public, max-age=${DAY_S}`)
  @Header('vary', 'accept')
  explain(
    @Param('slug') slug: string,
    @Headers('accept') accept: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): string | object {
    if (!isSlug(slug)) throw new Problem('not-found', { detail: 'There is no problem of this name.' });
    const type = PROBLEM_TYPES[slug];
    if (accept?.includes('text/html')) {
      void reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'");
      return problemPage(slug, type);
    }
    return { slug, type: this.config.typeBaseUrl + slug, ...type };
  }
}

function isSlug(text: string): text is ProblemSlug {
  return Object.hasOwn(PROBLEM_TYPES, text);
}
