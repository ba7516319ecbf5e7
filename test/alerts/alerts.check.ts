import { describe, expect, it } from '@jest/globals';
import { fileAtRoot } from '../chart/render.js';
import { deliveryCourses } from './delivery.courses.js';
import { nexudusCourses } from './nexudus.courses.js';
import { alerts, promtoolFaults } from './promtool.js';
import { serviceCourses } from './service.courses.js';

const courses = [...serviceCourses, ...nexudusCourses, ...deliveryCourses];
const names = alerts.map(({ alert }) => alert);

describe('every alert', () => {
  it('has a name of its own', () => {
    expect(names.length).toBeGreaterThan(10);
    expect(new Set(names).size).toBe(names.length);
  });

  it('looks at this release alone', () => {
    for (const { expr } of alerts) expect(expr).toContain('namespace="apps"');
  });

  it('links to a section of the runbook that says what it means and what to do', () => {
    const runbook = fileAtRoot('docs/operations.md');
    for (const { alert, annotations } of alerts) {
      expect(annotations.runbook_url).toBe(
        `https://git.example.com/nexudus-bff/docs/operations.md#${alert.toLowerCase()}`,
      );
      const [, section = ''] = runbook.split(`\n### ${alert}\n`);
      expect(section.split('\n#')[0]).toMatch(/\*\*What it means\.\*\* \S[^]*\*\*What to do\.\*\* \S/);
    }
  });

  it('is told apart from good times by a course of events in which it fires, and one in which it does not', () => {
    const tried = (fires: boolean): string[] =>
      courses.filter((course) => (course.fires !== undefined) === fires).map(({ alert }) => alert);
    expect(new Set(tried(true))).toEqual(new Set(names));
    expect(new Set(tried(false))).toEqual(new Set(names));
  });
});

describe('Prometheus', () => {
  it('takes the rules', () => {
    expect(promtoolFaults()).toBe('');
  });

  it.each(courses.filter(({ fires }) => fires))('fires $alert when $what', (course) => {
    expect(promtoolFaults(course)).toBe('');
  });

  it.each(courses.filter(({ fires }) => !fires))('does not fire $alert when $what', (course) => {
    expect(promtoolFaults(course)).toBe('');
  });
});
