// Runs a plug-in's hook, which is not trusted, with one capability: reading beneath one directory. The plug-in tries to get
// at other things; this program prints what came of it.
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

string[] attempts =
[
    "read inside.txt", "read sub/deeper.txt", "read ../outside.txt", "read sub/../../outside.txt", "read /etc/hostname", "read link.txt, which leads outside",
    "open inside.txt to write", "create a file", "statx", "open a path that was not granted", "write to a file slot", "read a foreign file slot", "send",
];

if (args.Length != 1) return Usage();
try
{
    using var program = Hook.Compile(Hook.Load());
    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program,
        // All there is: no other operation, no writing, no path as a whole, no file of the host's.
        new Grants { Directories = [args[0]], Operations = [IoUringOp.Nop, IoUringOp.OpenAt, IoUringOp.Read, IoUringOp.Close] },
        // And not much of it: a plug-in gets no more steps, files and bytes than it needs.
        new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096, MaxInFlight = 1, MaxSteps = 1000, MaxBytes = 1 << 20 });
    var result = await hook.StartAsync(UringOp.Nop());
    while (hook.TryReadEmission(out var emission))
    {
        var outcome = (int)emission.Value;
        Console.WriteLine($"{attempts[(int)emission.UserData]}: {(outcome >= 0 ? $"{outcome} bytes" : Hook.Describe(-outcome))}");
    }
    if (result.Verdict < 0) Console.Error.WriteLine($"the plug-in was ended: {Hook.Describe(-result.Verdict)}");
    return result.Verdict < 0 ? 1 : 0;
}
catch (BpfException error)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}

static int Usage()
{
    Console.Error.WriteLine(
        """
        Lets an untrusted hook read beneath DIRECTORY and nothing else, and shows what it tried.

        usage: Policy DIRECTORY
        """);
    return 2;
}
