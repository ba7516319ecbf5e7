/** A call of an operator. */
export interface ManagementRequest {
  readonly query: URLSearchParams;
  /** What stands in the path in place of each `{name}`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The parsed body of a POST. */
  readonly body: unknown;
  /** The address it came from. There are no accounts on this port: the network decides who gets here. */
  readonly from: string;
}

/** What an operator gets. */
export interface ManagementAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly allow?: string;
}

export type ManagementHandler = (request: ManagementRequest) => ManagementAnswer | Promise<ManagementAnswer>;

/** `GET` serves `HEAD`, too. */
export type ManagementMethod = 'GET' | 'POST';

/** What a path leads to, by method, and what stands in it. */
interface Match {
  readonly handlers: ReadonlyMap<ManagementMethod, ManagementHandler>;
  readonly parameters: Readonly<Record<string, string>>;
}

/** The few routes of the management port. */
export class ManagementRoutes {
  readonly #handlers = new Map<string, Map<ManagementMethod, ManagementHandler>>();

  /** @param template a path, in which `{name}` stands for one segment */
  add(method: ManagementMethod, template: string, handler: ManagementHandler): void {
    const handlers = this.#handlers.get(template) ?? new Map<ManagementMethod, ManagementHandler>();
    this.#handlers.set(template, handlers.set(method, handler));
  }

  find(path: string): Match | undefined {
    for (const [template, handlers] of this.#handlers) {
      const parameters = parametersIn(path, template);
      if (parameters) return { handlers, parameters };
    }
    return undefined;
  }
}

function parametersIn(path: string, template: string): Record<string, string> | undefined {
  const segments = path.split('/');
  const wanted = template.split('/');
  if (segments.length !== wanted.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const name = /^\{(\w+)\}$/.exec(wanted[index] ?? '')?.[1];
    if (name !== undefined && segment !== '') parameters[name] = segment;
    else if (segment !== wanted[index]) return undefined;
  }
  return parameters;
}

/** Any JSON as an answer. */
export function json(status: number, body: object): ManagementAnswer {
  return { status, contentType: 'application/json', body: JSON.stringify(body) };
}
