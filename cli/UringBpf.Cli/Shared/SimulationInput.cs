using System.CommandLine;
using System.CommandLine.Parsing;
using UringBpf.Ring;

namespace UringBpf.Cli;

/// <summary>The options that choose a back end and describe the simulated one.</summary>
internal sealed class SimulationInput
{
    // Three kinds of failure exclude each other.
    private const double HighestRate = 0.3;

    private readonly Option<string> _backend = new("--backend") { Description = "Who carries out the I/O: the kernel's io_uring, ordinary system calls, or a machine in memory. Default: the kernel, or portable where io_uring is refused.", DefaultValueFactory = _ => "auto" };
    private readonly Option<ulong?> _seed = new("--seed") { Description = "With --backend simulated: decides order, delay and faults. The same seed gives the same run.", HelpName = "N" };
    private readonly Option<double?> _faults = new("--faults") { Description = $"With --backend simulated: how much goes wrong (EINTR, EAGAIN, EIO, short transfers, overflow, …), 0 to {HighestRate}.", HelpName = "RATE" };
    private readonly Option<bool> _events = new("--events") { Description = "With --backend simulated: print what happens on the simulated machine to standard error." };

    public void AddTo(Command command)
    {
        _backend.AcceptOnlyFromAmong("auto", "kernel", "portable", "simulated");
        command.Add(_backend);
        command.Add(_seed);
        command.Add(_faults);
        command.Add(_events);
    }

    public bool IsSimulated(ParseResult parsed) => parsed.GetValue(_backend) == "simulated";

    /// <summary>The ring's options that these say.</summary>
    /// <exception cref="UsageException">An option of the simulation without one, or a rate that is none.</exception>
    public RingOptions Options(ParseResult parsed)
    {
        var options = new RingOptions { Backend = Enum.Parse<RingBackendKind>(parsed.GetValue(_backend)!, ignoreCase: true) };
        if (options.Backend != RingBackendKind.Simulated)
        {
            if (parsed.GetValue(_seed) != null || parsed.GetValue(_faults) != null || parsed.GetValue(_events)) throw new UsageException("--seed, --faults and --events are for --backend simulated.");
            return options;
        }
        var rate = parsed.GetValue(_faults) ?? 0;
        if (rate is not (>= 0 and <= HighestRate)) throw new UsageException($"--faults {rate}: between 0 and {HighestRate}.");
        var simulation = new SimulationOptions
        {
            Seed = parsed.GetValue(_seed) ?? 1,
            ReadsHostFiles = true,
            Trace = parsed.GetValue(_events) ? Console.Error.WriteLine : null,
        };
        return options with { Simulation = simulation.WithFaults(rate) };
    }
}
