// What the host refuses is the world's doing; everything else is a bug.

import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import { onHost } from '../../src/driver/host-error.ts';

const refusal = (code: string) => Object.assign(new Error(`${code}: write`), { code, syscall: 'write', errno: -1 });

describe('refusals of the host', () => {
  test('a full disk is an exhausted host: it counts no attempt', async () => {
    for (const code of ['ENOSPC', 'EMFILE', 'EDQUOT']) {
      await expect(onHost('start j1', () => Promise.reject(refusal(code)))).rejects.toMatchObject({ code: 'HOST_EXHAUSTED' });
    }
  });
  test('any other failed system call is a failed step that names the call and the path', async () => {
    const failure = onHost('list', () => readFile('/nonexistent/file'));
    await expect(failure).rejects.toThrow(/^list: ENOENT.*\/nonexistent\/file/);
    await expect(failure).rejects.toMatchObject({ code: 'DRIVER_FAILED', retry: true });
  });
  test('a bug stays a bug, and an error with a code of ours stays itself', async () => {
    await expect(onHost('list', () => Promise.reject(new TypeError('x')))).rejects.toBeInstanceOf(TypeError);
    const ours = new ControllerError('DRIVER_UNAVAILABLE', 'no systemd');
    await expect(onHost('check', () => Promise.reject(ours))).rejects.toBe(ours);
  });
});
