/** Whether an answer is the right one; `header` is a name in lower case that has to be there. */
export function isRight({ status, equals, includes, header }, actualStatus, text, headers) {
  return (
    actualStatus === status &&
    (equals === undefined || text === equals) &&
    (includes === undefined || text.includes(includes)) &&
    (header === undefined || Object.keys(headers).some((name) => name.toLowerCase() === header))
  );
}
