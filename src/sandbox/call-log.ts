import { type LiveCall, type RecordedCall } from './call.js';

interface Waiter {
  readonly accepts: (call: RecordedCall) => boolean;
  readonly resolve: (call: RecordedCall) => void;
}

/** Keeps every call in order of arrival, and tells those who wait for one. */
export class CallLog {
  private recorded: LiveCall[] = [];
  private waiters: Waiter[] = [];
  private lastSeq = 0;

  get calls(): readonly RecordedCall[] {
    return this.recorded;
  }

  add(arrival: Omit<LiveCall, 'seq' | 'status' | 'executed' | 'throttled'>): LiveCall {
    this.lastSeq += 1;
    const call: LiveCall = {
      ...arrival,
      seq: this.lastSeq,
      status: undefined,
      executed: false,
      throttled: false,
    };
    this.recorded.push(call);
    this.tell(call);
    return call;
  }

  settle(call: LiveCall, status: number | 'none'): void {
    call.status = status;
    this.tell(call);
  }

  waitFor(accepts: (call: RecordedCall) => boolean): Promise<RecordedCall> {
    const past = this.recorded.find(accepts);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve) => this.waiters.push({ accepts, resolve }));
  }

  /** A new array, so that what a test holds already stays as it was. */
  clear(): void {
    this.recorded = [];
  }

  private tell(call: LiveCall): void {
    this.waiters = this.waiters.filter(({ accepts, resolve }) => {
      if (!accepts(call)) return true;
      resolve(call);
      return false;
    });
  }
}
