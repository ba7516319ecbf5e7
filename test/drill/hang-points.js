/**
 * The named points of a write at which a replica can be killed or frozen. They are hung onto the classes of the built
 * service from outside: the service itself knows nothing of them. What a transaction is for is told by its statements.
 */
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { Database } from '../../dist/database/database.js';
import { UndiciExchange } from '../../dist/nexudus/undici.exchange.js';

/** What a transaction does, by statements that it must hold, with their values. */
const STEPS = Object.entries(JSON.parse(readFileSync('test/drill/steps.json', 'utf8'))).map(
  ([name, statements]) => ({ name, statements: statements.map((text) => new RegExp(text, 'i')) }),
);

const isWrite = (call) => call.isWrite === true;
const isToken = (call) => call.path.toLowerCase().endsWith('/api/token');

/** @param reached called with the name of each point as it is passed */
export function hangPoints(reached) {
  hangOnDatabase(reached);
  hangOnExchange(reached);
}

function hangOnDatabase(reached) {
  const { transaction, start } = Database.prototype;
  const asText = (text, values) => `${text} ${JSON.stringify(values ?? [])}`;
  const stepsOf = (texts) =>
    STEPS.filter(({ statements }) =>
      statements.every((statement) => texts.some((text) => statement.test(text))),
    );

  Database.prototype.transaction = async function (work) {
    const texts = [];
    const result = await transaction.call(this, async (queries) => {
      texts.length = 0;
      const done = await work({
        ...queries,
        query: (text, values) => {
          texts.push(asText(text, values));
          return queries.query(text, values);
        },
      });
      for (const { name } of stepsOf(texts)) reached(`before ${name} is written`);
      return done;
    });
    for (const { name } of stepsOf(texts)) reached(`after ${name} is written`);
    return result;
  };

  // A field of each database, so that it can be handed on.
  Database.prototype.start = async function () {
    const { query } = this;
    this.query = async (text, values) => {
      const steps = stepsOf([asText(text, values)]);
      for (const { name } of steps) reached(`before ${name} is written`);
      const result = await query(text, values);
      for (const { name } of steps) reached(`after ${name} is written`);
      return result;
    };
    await start.call(this);
  };
}

function hangOnExchange(reached) {
  const { send } = UndiciExchange.prototype;
  UndiciExchange.prototype.send = async function (call) {
    const name = isWrite(call) ? 'write' : isToken(call) ? 'token call' : 'read';
    reached(`before the ${name} is sent`);
    const result = await send.call(this, call);
    reached(`after the answer to the ${name}`);
    return result;
  };
  subscribe('undici:request:bodySent', ({ request }) => {
    if (request.path.toLowerCase().endsWith('/openaichatmessages')) reached('with the write under way');
    if (isToken(request)) reached('with the token call under way');
  });
}
