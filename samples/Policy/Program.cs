// Runs a plug-in's hook, which is not trusted, under a policy of the host's: it may read beneath one directory, and everything
// else is -EACCES. The plug-in tries to get at other things; this program prints what came of it.
using UringBpf.Bytecode;
using UringBpf.Ring;
using UringBpf.Samples;

string[] attempts =
[
    "read inside.txt", "read sub/deeper.txt", "read ../outside.txt", "read sub/../../outside.txt", "read /etc/hostname", "read link.txt, which leads outside",
    "open inside.txt to write", "create a file", "statx", "open a path as a whole", "write to the host's file", "read the host's file", "send",
];

if (args.Length != 1) return Usage();
try
{
    using var program = Hook.Compile(Hook.Load());
    // The policy is the host's own program, compiled from its own object.
    using var judge = Hook.Compile(Hook.Load("policy.bpf.o").WithGlobal("host_files", 1u));
    using var hostFile = File.OpenHandle(typeof(Hook).Assembly.Location);
    await using var ring = Ring.Create();
    await using var hook = ring.Attach(program,
        // The grants would allow more than the plug-in shall do, so that it is the policy that says no.
        new Grants
        {
            Files = [hostFile],
            Paths = ["/etc/hostname"],
            Directories = [args[0]],
            AllowWrite = true,
            Operations = [IoUringOp.Nop, IoUringOp.OpenAt, IoUringOp.Read, IoUringOp.Write, IoUringOp.Close, IoUringOp.StatX, IoUringOp.Send],
        },
        // And not much of it: a plug-in gets no more steps, files and bytes than it needs.
        new ChainLimits { OwnFiles = 1, OwnBuffers = 1, OwnBufferBytes = 4096, MaxInFlight = 1, MaxSteps = 1000, MaxBytes = 1 << 20 });
    await using var policy = hook.AttachPolicy(judge);
    var result = await hook.StartAsync(UringOp.Nop());
    while (hook.TryReadEmission(out var emission))
    {
        var outcome = (int)emission.Value;
        Console.WriteLine($"{attempts[(int)emission.UserData]}: {(outcome >= 0 ? $"{outcome} bytes" : Hook.Describe(-outcome))}");
    }
    Console.Error.WriteLine($"the policy judged {policy.Runs} operations and refused {policy.Refusals}");
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
        Lets an untrusted hook read beneath DIRECTORY and do nothing else, and shows what it tried. It asks for inside.txt,
        sub/deeper.txt and link.txt there: what is missing is ENOENT.

        usage: Policy DIRECTORY
        """);
    return 2;
}
