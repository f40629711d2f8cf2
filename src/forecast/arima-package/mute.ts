// SPDX-License-Identifier: Apache-2.0

/** What `console.log` was before the package `arima` was loaded. */
export const spoken = console.log;

// The package's machine code writes its remarks by the `console.log` that it finds when it is loaded. They would end up
// in the midst of what a command prints. It is loaded between `mute.ts` and `unmute.ts`.
console.log = (): void => undefined;
