import { HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import type { UpstreamCall, WireResult } from './wire.js';

/** Sends one call to Nexudus, once, and tells what came of it. Every call of the service goes through here. */
@Injectable()
export class UpstreamTransport {
  constructor(private readonly http: HttpService) {}

  /** Never rejects: a failure is a {@link WireResult}, too. */
  async send(call: UpstreamCall): Promise<WireResult> {
    // axiosRef, since HttpService.post() builds a cancel error after every call.
    const { data } = await this.http.axiosRef.request<WireResult>({
      method: call.method,
      url: call.path,
      headers: call.headers,
      data: call.body,
      timeout: call.timeoutMs,
    });
    return data;
  }
}
