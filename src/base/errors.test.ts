// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { errorCode, errorMessage, HeadstartError, invalidInput } from './errors.ts';

test('a refusal says where, what was given and what is allowed, and shortens what is long', () => {
  expect(invalidInput('--lead', '5y', 'a duration').message).toBe('--lead: got "5y", want a duration');
  expect(invalidInput('row 3', 'x'.repeat(500), 'a number').message.length).toBeLessThan(160);
});

test('a message carries its causes', () => {
  const error = new HeadstartError('Unavailable', 'listing pods', { cause: new Error('connection refused') });
  expect(errorMessage(error)).toBe('listing pods: connection refused');
  expect(errorMessage('text')).toBe('text');
});

test('the code decides whether trying again can help', () => {
  expect(new HeadstartError('Timeout', 'x').retryable).toBe(true);
  expect(new HeadstartError('Forbidden', 'x').retryable).toBe(false);
  expect(errorCode(new TypeError('x'))).toBe('Internal');
});
