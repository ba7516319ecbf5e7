/** Waits for what a log, a fake or a page will show, looking again every few milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await found(async () => (await condition()) || undefined);
}

/** The same, for what is looked at when it is there. */
export async function found<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
