/** Calls back once, when it is too late; the returned function takes that back. */
export type WhenLate = (callback: () => void) => () => void;

/**
 * What the work comes to, unless it is late. The work goes on.
 *
 * @param lateness what it fails with then
 */
export function inTime<T>(work: Promise<T>, whenLate: WhenLate, lateness: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = whenLate(() => {
      reject(lateness());
    });
    work.finally(cancel).then(resolve, reject);
  });
}
