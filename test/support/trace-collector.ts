import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP has it in JSON. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  /** `code` 2 is an error. */
  readonly status: { readonly code: number };
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'attributes'> & { attributes: readonly Attribute[] })[];
    }[];
  }[];
}

/** Receives traces as a collector does: OTLP over HTTP, in JSON. */
export class TraceCollector {
  readonly spans: ReceivedSpan[] = [];
  readonly texts: string[] = [];
  resource: Readonly<Record<string, unknown>> = {};
  readonly #server: Server;

  private constructor(status: number | 'never') {
    this.#server = createServer((request, response) => {
      void (async () => {
        let text = '';
        for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
        this.texts.push(text);
        if (status === 'never') return;
        if (request.url === '/v1/traces' && request.headers['content-type'] === 'application/json') {
          this.#take(JSON.parse(text) as Export);
        }
        response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
      })();
    });
  }

  /** @param status what it answers, or that it never does */
  static async start(status: number | 'never' = 200): Promise<TraceCollector> {
    const collector = new TraceCollector(status);
    collector.#server.listen(0, '127.0.0.1');
    await once(collector.#server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #take({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resource = plain(resource.attributes);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        this.spans.push({ ...span, attributes: plain(span.attributes) });
      }
    }
  }
}

function plain(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
