// Promises the only clock and the only timers of the page.

export function now(): number {
  return Date.now();
}

/** Calls once after that time; returns how to call it off. */
export function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

export function every(ms: number, work: () => void): void {
  setInterval(work, ms);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    after(ms, resolve);
  });
}
