using System.Diagnostics;
using System.Runtime.InteropServices;

namespace UringBpf.Cli.Tests;

/// <summary>A process whose system calls are filtered, as container runtimes do.</summary>
internal static unsafe partial class Sandbox
{
    public const uint IoUringSetup = 425, OpenAt2 = 437;

    /// <summary>uringbpf, where these system calls fail with EPERM.</summary>
    public static Outcome Start(uint[] refused, params string[] args)
    {
        Outcome? outcome = null;
        Exception? failure = null;
        // A filter holds for the thread that sets it and for what that starts: a thread of its own, which then ends.
        var thread = new Thread(() =>
        {
            try
            {
                Refuse(refused);
                var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "uringbpf.dll"), .. args]) { RedirectStandardOutput = true, RedirectStandardError = true };
                start.Environment["NO_COLOR"] = "1";
                using var process = Process.Start(start)!;
                // Few lines: no pipe is filled while the other is read.
                outcome = new Outcome(0, process.StandardOutput.ReadToEnd(), process.StandardError.ReadToEnd());
                process.WaitForExit();
                outcome = outcome with { Exit = process.ExitCode };
            }
            catch (Exception error)
            {
                failure = error;
            }
        });
        thread.Start();
        thread.Join();
        return failure == null ? outcome! : throw new InvalidOperationException("the sandbox can't be made.", failure);
    }

    private static void Refuse(uint[] calls)
    {
        const int setNoNewPrivileges = 38, setSeccomp = 22, filterMode = 2;
        const ushort loadWord = 0x20, jumpIfEqual = 0x15, give = 0x06;
        const uint errnoEPerm = 0x00050001, allow = 0x7fff0000;
        var filter = stackalloc Instruction[2 * calls.Length + 2];
        var count = 0;
        // seccomp_data begins with the number of the call.
        filter[count++] = new Instruction { Code = loadWord };
        foreach (var call in calls)
        {
            filter[count++] = new Instruction { Code = jumpIfEqual, IfFalse = 1, K = call };
            filter[count++] = new Instruction { Code = give, K = errnoEPerm };
        }
        filter[count++] = new Instruction { Code = give, K = allow };
        var program = new Program { Length = (ushort)count, Filter = filter };
        if (PrCtl(setNoNewPrivileges, 1, 0, 0, 0) != 0 || PrCtl(setSeccomp, filterMode, (nint)(&program), 0, 0) != 0)
            throw new InvalidOperationException($"prctl: errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>struct sock_filter.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Instruction
    {
        public ushort Code;
        public byte IfTrue, IfFalse;
        public uint K;
    }

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Program
    {
        public ushort Length;
        public Instruction* Filter;
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    private static partial int PrCtl(int option, nint a, nint b, nint c, nint d);
}
