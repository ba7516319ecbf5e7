/** Whether a text can be sent as the value of a header, as it is: visible ASCII without spaces. */
export function isHeaderValue(text: string): boolean {
  return /^[\x21-\x7e]{1,256}$/.test(text);
}
