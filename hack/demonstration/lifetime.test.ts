// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createLifetime, Interrupted } from './lifetime.ts';

const log: string[] = [];
const note = (line: string): void => void log.push(line);

test('undoes what was done, last first, and goes on when one of them fails', async () => {
  const undone: string[] = [];
  const lifetime = createLifetime(new AbortController().signal);
  for (const name of ['first', 'second', 'third']) {
    await lifetime.step(
      () => Promise.resolve(name),
      (result) => {
        undone.push(result);
        return name === 'second' ? Promise.reject(new Error('stuck')) : Promise.resolve();
      },
    );
  }
  await lifetime.end(note);
  expect(undone).toEqual(['third', 'second', 'first']);
  expect(log).toEqual(['cleaning up …', 'clean-up: Error: stuck']);
});

test('a step that fails gives its error and has nothing to undo', async () => {
  const undone: string[] = [];
  const lifetime = createLifetime(new AbortController().signal);
  const failing = lifetime.step(
    () => Promise.reject(new Error('no')),
    () => Promise.resolve(void undone.push('x')),
  );
  await expect(failing).rejects.toThrow('no');
  await lifetime.end(note);
  expect(undone).toEqual([]);
});

test('an interrupted step is undone once it is done', async () => {
  const undone: string[] = [];
  const abort = new AbortController();
  const lifetime = createLifetime(abort.signal);
  const { promise, resolve } = Promise.withResolvers<string>();
  const step = lifetime.step(
    () => promise,
    (result) => Promise.resolve(void undone.push(result)),
  );
  abort.abort();
  await expect(step).rejects.toThrow(Interrupted);
  const end = lifetime.end(note);
  resolve('server');
  await end;
  expect(undone).toEqual(['server']);
});

test('nothing starts, and nothing sleeps, after the interruption', async () => {
  const lifetime = createLifetime(AbortSignal.abort());
  await expect(lifetime.step(() => Promise.resolve(1))).rejects.toThrow(Interrupted);
  await expect(lifetime.sleep(1_000_000)).rejects.toThrow(Interrupted);
});

test('the failure of a command that got the Ctrl-C is the interruption', async () => {
  const abort = new AbortController();
  const lifetime = createLifetime(abort.signal);
  const step = lifetime.step(async () => {
    await Promise.resolve();
    abort.abort();
    throw new Error('kubectl: signal SIGINT');
  });
  await expect(step).rejects.toThrow(Interrupted);
});
