import { describe, expect, it } from '@jest/globals';
import type { JWTPayload } from 'jose';
import { Problem } from '../problem-details/problem.js';
import { mayWriteFor } from './caller.js';
import { callerOf } from './jwt.claims.js';

const GOOD: JWTPayload = { client_id: 'web-app', scope: 'chat-messages:write', businesses: [1, 2] };

function problemOf(claims: JWTPayload): Problem {
  try {
    callerOf(claims);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('the claims were accepted');
}

describe('the caller of a token', () => {
  it('is its client, and may write for its businesses', () => {
    expect(callerOf(GOOD)).toEqual({ kind: 'jwt', id: 'web-app', businesses: new Set([1, 2]) });
    expect(callerOf({ ...GOOD, businesses: '*' })).toEqual({ kind: 'jwt', id: 'web-app', businesses: '*' });
  });

  it.each<[string, JWTPayload]>([
    ['a', { client_id: 'a', azp: 'b', sub: 'c' }],
    ['b', { client_id: undefined, azp: 'b', sub: 'c' }],
    ['c', { client_id: undefined, sub: 'c' }],
    ['x'.repeat(255), { client_id: 'x'.repeat(255) }],
    ['https://app.example/{1}', { client_id: 'https://app.example/{1}' }],
  ])('is %s by client_id, else azp, else sub', (id, claims) => {
    expect(callerOf({ ...GOOD, ...claims }).id).toBe(id);
  });

  it.each<[string, JWTPayload]>([
    ['client_id', { client_id: '' }],
    ['client_id', { client_id: 7 }],
    ['client_id', { client_id: null, sub: 'c' }],
    ['client_id', { client_id: 'a b' }],
    ['client_id', { client_id: 'a\n' }],
    ['client_id', { client_id: 'ä' }],
    ['client_id', { client_id: 'x'.repeat(256) }],
    ['azp', { client_id: undefined, azp: ['b'], sub: 'c' }],
    ['sub', { client_id: undefined }],
  ])('is nobody for a bad %s (%j), though another claim may name somebody', (claim, claims) => {
    const { slug, occurrence } = problemOf({ ...GOOD, ...claims });
    expect([slug, occurrence.detail]).toEqual([
      'unauthenticated',
      `The token is refused for its claim "${claim}".`,
    ]);
  });

  it.each<[JWTPayload]>([
    [{ businesses: undefined }],
    [{ businesses: null }],
    [{ businesses: [] }],
    [{ businesses: 1 }],
    [{ businesses: '1' }],
    [{ businesses: 'all' }],
    [{ businesses: ['*'] }],
    [{ businesses: ['1'] }],
    [{ businesses: [1, '2'] }],
    [{ businesses: [1, 1.5] }],
    [{ businesses: { 0: 1, length: 1 } }],
    [{ businesses: true }],
  ])('may write for no business with %j', (claims) => {
    const caller = callerOf({ ...GOOD, ...claims });
    expect([0, 1, 2].some((id) => mayWriteFor(caller, id))).toBe(false);
  });

  it.each<[JWTPayload]>([
    [{ scope: 'openid chat-messages:write profile' }],
    [{ scope: undefined, scp: 'chat-messages:write' }],
    [{ scope: undefined, scp: 'openid chat-messages:write' }],
    [{ scope: undefined, scp: ['openid', 'chat-messages:write'] }],
    [{ scope: 'openid', scp: ['chat-messages:write'] }],
  ])('has the scope with %j', (claims) => {
    expect(callerOf({ ...GOOD, ...claims }).id).toBe('web-app');
  });

  it.each<[JWTPayload]>([
    [{ scope: undefined }],
    [{ scope: '' }],
    [{ scope: 'chat-messages' }],
    [{ scope: 'chat-messages:write:all' }],
    [{ scope: 'CHAT-MESSAGES:WRITE' }],
    [{ scope: 'openid,chat-messages:write' }],
    [{ scope: null, scp: [7, null, { scope: 'chat-messages:write' }] }],
    [{ scope: true, scp: { 'chat-messages:write': true } }],
  ])('lacks it with %j', (claims) => {
    expect(problemOf({ ...GOOD, ...claims }).slug).toBe('forbidden');
  });
});
