/** Whether a text is a connection string as libpq has it (PostgreSQL manual, section 34.1.1.2), with a database. */
export function isPostgresUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, pathname } = new URL(text);
  return /^postgres(ql)?:$/.test(protocol) && pathname.length > 1;
}
