using System.ComponentModel;
using System.Runtime.InteropServices;
using UringBpf.Bytecode;

namespace UringBpf.Cli;

/// <summary>Whether the running kernel takes programs through bpf(2): tests use it as an oracle.</summary>
internal static unsafe partial class KernelVerifier
{
    private const int ProgramLoad = 5, SocketFilter = 1, AttributeWords = 32;

    /// <summary>Loads the smallest program there is.</summary>
    /// <returns>null when the kernel took it, else why not.</returns>
    public static string? Refusal()
    {
        if (!OperatingSystem.IsLinux()) return "not Linux";
        long number = RuntimeInformation.ProcessArchitecture switch { Architecture.X64 => 321, Architecture.Arm64 => 280, _ => -1 };
        if (number < 0) return "not known on this processor";
        Instruction[] code = [new(0xb7), new(0x95)];
        var attributes = stackalloc uint[AttributeWords];
        new Span<uint>(attributes, AttributeWords).Clear();
        fixed (Instruction* first = code)
        fixed (byte* license = "GPL\0"u8)
        {
            attributes[0] = SocketFilter;
            attributes[1] = (uint)code.Length;
            *(Instruction**)(attributes + 2) = first;
            *(byte**)(attributes + 4) = license;
            var descriptor = SystemCall(number, ProgramLoad, attributes, AttributeWords * sizeof(uint));
            if (descriptor < 0) return new Win32Exception(Marshal.GetLastPInvokeError()).Message;
            using var program = new Microsoft.Win32.SafeHandles.SafeFileHandle((nint)descriptor, ownsHandle: true);
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, long command, uint* attributes, long size);
}
