import type { IncomingMessage, ServerResponse } from 'node:http';
import helmet from 'helmet';

/**
 * What helmet would set on each answer, asked for once: none of it depends on the request. Those of its headers that an
 * API has a use for, as the OWASP REST Security Cheat Sheet lists them; the others speak to pages. Nothing here is meant
 * to be shown, framed or embedded; the pages for people set a policy of their own.
 */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = askHelmet();

function askHelmet(): Record<string, string> {
  const headers: Record<string, string> = {};
  const answer = {
    setHeader: (name: string, value: string) => (headers[name.toLowerCase()] = value),
    removeHeader: () => undefined,
  };
  const nobody = ["'none'"];
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: nobody, frameAncestors: nobody, formAction: nobody, baseUri: nobody },
    },
    frameguard: { action: 'deny' },
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    dnsPrefetchControl: false,
    ieNoOpen: false,
    permittedCrossDomainPolicies: false,
    xssFilter: false,
    hidePoweredBy: false,
  })({} as IncomingMessage, answer as unknown as ServerResponse, () => undefined);
  return headers;
}
