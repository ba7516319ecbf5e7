/** A moment since the Unix epoch as ISO 8601 has it, in UTC. */
export function isoDate(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
