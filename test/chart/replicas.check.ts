import { describe, expect, it } from '@jest/globals';
import { parseWindows } from '../../src/config/windows.js';
import {
  CHART,
  environmentOf,
  fileAtRoot,
  helm,
  only,
  podOf,
  render,
  valueSetFile,
  type Values,
} from './render.js';

const strategy = (values: Values): unknown => only(render('minimal', values), 'Deployment').spec['strategy'];

function limits(replicaCount: number, config: Record<string, string> = {}): Record<string, string> {
  return environmentOf(render('minimal', { replicaCount, acceptSeparateMemory: true, config }));
}

describe('one replica', () => {
  it('is replaced without a gap, or without an overlap where that is asked for', () => {
    expect(strategy({})).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
    });
    expect(strategy({ updateStrategy: 'Recreate' })).toEqual({ type: 'Recreate' });
  });

  it('has the limits as they are', () => {
    expect(limits(1)).not.toHaveProperty('NEXUDUS_WRITE_LIMITS');
    expect(limits(1, { nexudusWriteLimits: '7/1m' })).toHaveProperty('NEXUDUS_WRITE_LIMITS', '7/1m');
  });

  it('has no disruption budget: its node could not be drained', () => {
    expect(render('minimal').map(({ kind }) => kind)).not.toContain('PodDisruptionBudget');
  });
});

describe('several replicas', () => {
  it.each([
    [2, '30/1m,1250/1d', '1/200ms,60/1m,2500/1h'],
    [3, '20/1m,833/1d', '1/300ms,40/1m,1666/1h'],
    [7, '8/1m,357/1d', '1/700ms,17/1m,714/1h'],
  ])('divide the service’s own limits (%d: %s and %s)', (replicas, writes, calls) => {
    expect(limits(replicas)).toMatchObject({ NEXUDUS_WRITE_LIMITS: writes, NEXUDUS_CALL_LIMITS: calls });
  });

  it('divide those that are set, and leave "off" alone', () => {
    expect(limits(2, { nexudusWriteLimits: '5/1s,1/2h', nexudusCallLimits: 'off' })).toMatchObject({
      NEXUDUS_WRITE_LIMITS: '2/1s,1/4h',
      NEXUDUS_CALL_LIMITS: 'off',
    });
  });

  it('never have more together than one would have alone', () => {
    for (const variable of ['NEXUDUS_WRITE_LIMITS', 'NEXUDUS_CALL_LIMITS']) {
      const alone = parseWindows(
        new RegExp(`^${variable}=(.*)$`, 'm').exec(fileAtRoot('.env.example'))?.[1] ?? '',
      );
      const share = parseWindows(limits(4)[variable] ?? '');
      expect(share).toHaveLength(alone?.length ?? 0);
      share?.forEach(({ limit, periodMs }, n) => {
        const whole = alone?.[n] ?? { limit: 0, periodMs: 1 };
        expect((4 * limit) / periodMs).toBeLessThanOrEqual(whole.limit / whole.periodMs);
      });
    }
  });

  it('divide by the most that autoscaling may start', () => {
    expect(environmentOf(render('autoscaling'))).toHaveProperty('NEXUDUS_WRITE_LIMITS', '15/1m,625/1d');
    expect(only(render('autoscaling'), 'HorizontalPodAutoscaler').spec).toMatchObject({
      scaleTargetRef: { kind: 'Deployment', name: 'bff-nexudus-bff' },
      minReplicas: 2,
      maxReplicas: 4,
    });
    // A number here would undo what the autoscaler did with every upgrade.
    expect(only(render('autoscaling'), 'Deployment').spec).not.toHaveProperty('replicas');
  });

  it('roll without one more, which would spend more than the shares', () => {
    const surge = { maxSurge: 0, maxUnavailable: 1 };
    for (const set of ['several', 'autoscaling'] as const) {
      expect(only(render(set), 'Deployment').spec['strategy']).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: surge,
      });
    }
  });

  it('are spread, drained one at a time, and kept to by their callers', () => {
    const manifests = render('several');
    expect(podOf(manifests)['topologySpreadConstraints']).toMatchObject([
      { topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' },
      { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' },
    ]);
    expect(only(manifests, 'PodDisruptionBudget').spec['maxUnavailable']).toBe(1);
    const [api] = manifests.filter(({ kind }) => kind === 'Service');
    expect(api?.spec['sessionAffinity']).toBe('ClientIP');
  });

  it('are warned of in the notes, with the shares', () => {
    const { output } = helm([
      'install',
      'bff',
      CHART,
      '--dry-run=client',
      '--values',
      valueSetFile('several'),
    ]);
    const notes = output.slice(output.indexOf('NOTES:'));
    expect(notes).toContain('WARNING: 3 replicas that share nothing');
    expect(notes).toContain('20/1m,833/1d');
    expect(notes).toContain('Idempotency-Key');
  });
});

describe('replicas that share a database', () => {
  const shared = { acceptSeparateMemory: false, database: { existingSecret: 'bff-database' } };

  it('need no leave, and have the limits as they are: the quota is one', () => {
    const environment = environmentOf(render('minimal', { ...shared, replicaCount: 3 }));
    expect(environment).not.toHaveProperty('NEXUDUS_WRITE_LIMITS');
    expect(environment).not.toHaveProperty('NEXUDUS_CALL_LIMITS');
    const config = { nexudusWriteLimits: '2/1s' };
    expect(environmentOf(render('minimal', { ...shared, replicaCount: 3, config }))).toHaveProperty(
      'NEXUDUS_WRITE_LIMITS',
      '2/1s',
    );
  });

  it('may follow the load', () => {
    const manifests = render('shared');
    expect(only(manifests, 'HorizontalPodAutoscaler').spec).toMatchObject({ minReplicas: 2, maxReplicas: 4 });
    expect(environmentOf(manifests)).not.toHaveProperty('NEXUDUS_WRITE_LIMITS');
  });

  it('roll without a gap: one more spends nothing that is not there', () => {
    for (const replicaCount of [1, 3]) {
      expect(strategy({ ...shared, replicaCount })).toEqual({
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
      });
    }
  });

  it('are spread and drained one at a time, as others are', () => {
    const manifests = render('shared');
    expect(podOf(manifests)['topologySpreadConstraints']).toHaveLength(2);
    expect(only(manifests, 'PodDisruptionBudget').spec['maxUnavailable']).toBe(1);
  });

  it('are not warned of in the notes, which say where to look when the database is away', () => {
    const { output } = helm([
      'install',
      'bff',
      CHART,
      '--dry-run=client',
      '--values',
      valueSetFile('shared'),
    ]);
    const notes = output.slice(output.indexOf('NOTES:'));
    expect(notes).not.toContain('WARNING');
    expect(notes).toContain('does not reach its database');
    expect(notes).toContain('"bff-database"');
  });
});
