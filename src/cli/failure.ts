/** A command that ends with a sentence for its user, never with a stack trace. */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'Failure';
    this.exitCode = exitCode;
  }
}

/** The command line or the configuration is wrong: exit code 2. */
export function usageFailure(message: string): Failure {
  return new Failure(message, 2);
}

/** It failed at run time: exit code 1. */
export function runFailure(message: string): Failure {
  return new Failure(message, 1);
}
