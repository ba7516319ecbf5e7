/* eslint-disable @typescript-eslint/no-extraneous-class -- their decorators are applied below */
import 'reflect-metadata';
import { HttpModule, HttpService } from '@nestjs/axios';
import { Body, Controller, Module, Post, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IsIn, IsInt, IsNotEmpty, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { ExpressAdapter } from 'nest-platform-express';
import { firstValueFrom } from 'rxjs';
import { UPSTREAM_PATH, UPSTREAM_TOKEN } from '../setting.js';
import { toNexudus, toRepresentation } from './mapping.js';

// The benchmarks are plain JavaScript, so that the decorators are applied by hand: what runs is the same.
const decorate = (decorators, target, ...place) => {
  for (const decorator of decorators) decorator(target, ...place);
};
const id = [IsInt(), Min(1), Max(2 ** 31 - 1)];

class ChatMessageDto {}
decorate(id, ChatMessageDto.prototype, 'businessId');
decorate([IsString(), IsNotEmpty(), MaxLength(16_384)], ChatMessageDto.prototype, 'content');
decorate([IsOptional(), IsIn(['operator'])], ChatMessageDto.prototype, 'action');
decorate([IsOptional(), ...id], ChatMessageDto.prototype, 'userId');
decorate([IsOptional(), ...id], ChatMessageDto.prototype, 'sessionId');

class ChatMessagesController {
  constructor(http) {
    this.http = http;
  }

  async create(message) {
    const answer = await firstValueFrom(
      this.http.post(process.env.UPSTREAM_URL + UPSTREAM_PATH, toNexudus(message), {
        headers: { Authorization: `Bearer ${UPSTREAM_TOKEN}` },
      }),
    );
    return toRepresentation(message, answer.data);
  }
}
const create = [
  ChatMessagesController.prototype,
  'create',
  Object.getOwnPropertyDescriptor(ChatMessagesController.prototype, 'create'),
];
decorate([Body()], ChatMessagesController.prototype, 'create', 0);
decorate([Post(), Reflect.metadata('design:paramtypes', [ChatMessageDto])], ...create);
decorate(
  [Controller('v1/chat-messages'), Reflect.metadata('design:paramtypes', [HttpService])],
  ChatMessagesController,
);

class AppModule {}
decorate([Module({ imports: [HttpModule], controllers: [ChatMessagesController] })], AppModule);

const app = await NestFactory.create(AppModule, new ExpressAdapter(), { logger: ['error', 'warn'] });
app.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true }));
await app.listen(Number(process.env.PORT), '127.0.0.1');
