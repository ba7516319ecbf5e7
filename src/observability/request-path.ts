/** The path of a request target, without the query: that may hold what nobody wants repeated. */
export function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}
