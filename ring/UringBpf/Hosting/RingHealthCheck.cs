using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using UringBpf.Bytecode;

namespace UringBpf.Hosting;

/// <summary>Healthy when the ring completes an operation in time; its counters are the data.</summary>
internal sealed class RingHealthCheck(RingHolder holder, IOptions<UringBpfOptions> options) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        if (!holder.IsCreated && !options.Value.StartRing) return HealthCheckResult.Healthy("The ring has not been needed yet.");
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        timeout.CancelAfter(options.Value.HealthTimeout);
        try
        {
            var ring = holder.Ring;
            var result = await ring.NopAsync().AsTask().WaitAsync(timeout.Token).ConfigureAwait(false);
            var data = new Dictionary<string, object>
            {
                ["backend"] = ring.Features.Backend,
                ["completions"] = ring.Completions,
                ["hook_runs"] = ring.HookRuns,
                ["late_completions"] = ring.LateCompletions,
                ["host_wakeups"] = ring.HostWakeUps,
            };
            return result == 0
                ? HealthCheckResult.Healthy($"The ring answers ({ring.Features.Backend}).", data)
                : new HealthCheckResult(context.Registration.FailureStatus, $"The ring answers with errno {-result}.", data: data);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, $"The ring did not answer within {options.Value.HealthTimeout}.", error);
        }
        catch (BpfException error)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, error.Message, error);
        }
    }
}
