/** Who calls. */
export interface Caller {
  /** How it proved itself; together with `id` it names the caller, so that a key cannot pose as a JWT. */
  readonly kind: 'jwt' | 'api-key' | 'anonymous';
  readonly id: string;
  /** The businesses it may write for. */
  readonly businesses: '*' | ReadonlySet<number>;
}

/** Names a caller among all others, of every kind. */
export function callerName({ kind, id }: Caller): string {
  return `${kind}:${id}`;
}

/** Whether the caller may write for a business. */
export function mayWriteFor(caller: Caller, businessId: number): boolean {
  return caller.businesses === '*' || caller.businesses.has(businessId);
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that is not public, before the body is read. */
    caller: Caller | null;
  }
}
