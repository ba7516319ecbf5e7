/** Loaded into a contestant before its own code: tells its memory when it is asked. Needs --expose-gc. */

process.on('message', () => {
  globalThis.gc();
  // What was only kept by a finaliser goes with the second.
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  const resources = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  process.send({ rss, heap: heapUsed + external, resources });
});
// It must not keep alive what wants to end.
process.channel.unref();
