import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { Controller, Get, Header, Headers, Param, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { Problem } from '../problem-details/problem.js';
import { ApiDocument } from './api-document.js';
import { CONTENT_SECURITY_POLICY, PAGE, START_SCRIPT } from './api-docs.page.js';

const HOUR_S = 3_600;
const CACHED = `public, max-age=${HOUR_S}`;

/** What the page needs of Swagger UI, by name, with its media type. Nothing else of the package is served. */
const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** The API described: to a program as OpenAPI, to a person as a page. */
@Controller()
export class ApiDocsController {
  readonly #require = createRequire(import.meta.url);

  constructor(private readonly document: ApiDocument) {}

  @Get('openapi.json')
  @RouteConfig({ public: true })
  @Header('cache-control', CACHED)
  async openapi(
    @Headers('if-none-match') known: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<string | undefined> {
    const { text, etag } = await this.document.read();
    void reply.type('application/json').header('etag', etag);
    if (!known?.includes(etag)) return text;
    void reply.code(304);
    return undefined;
  }

  @Get('docs')
  @RouteConfig({ public: true })
  @Header('cache-control', CACHED)
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY_POLICY)
  page(): string {
    return PAGE;
  }

  @Get('docs/:file')
  @RouteConfig({ public: true })
  @Header('cache-control', CACHED)
  asset(@Param('file') file: string, @Res() reply: FastifyReply): void {
    if (file === 'start.js') {
      void reply.type('text/javascript; charset=utf-8').send(START_SCRIPT);
      return;
    }
    const mediaType = Object.hasOwn(ASSETS, file) ? ASSETS[file] : undefined;
    if (mediaType === undefined)
      throw new Problem('not-found', { detail: 'Nothing is served under this path.' });
    void reply.type(mediaType).send(createReadStream(this.#require.resolve(`swagger-ui-dist/${file}`)));
  }
}
