// SPDX-License-Identifier: Apache-2.0

/** For fast-check, where what is parsed comes from outside: requests, objects, answers, files, arguments. */
export const fromOutside = { numRuns: 100_000 } as const;
/** The time limit of a test that does it. */
export const fromOutsideMs = 120_000;
